"""Read models: each is a fold, said in examples and checked against a naive one."""
