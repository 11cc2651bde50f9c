"""Old code and new code on one database, while processes are replaced one by one."""
