"""The command line's commands, a file a subject; none imports torch before it runs."""
