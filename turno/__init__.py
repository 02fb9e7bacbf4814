"""The command line: starts everything on one machine, and the small chores around it."""
