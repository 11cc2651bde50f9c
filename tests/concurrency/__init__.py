"""Many processes ask the same sessions at once; what they were told is checked afterwards."""
