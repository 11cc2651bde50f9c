"""The long form of the search over the shipped reducers."""
