"""Reading plan files. Nothing here asks anything but the disk."""
