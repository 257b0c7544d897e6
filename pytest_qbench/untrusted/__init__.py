"""Input from outside read within limits, and text from outside made safe to print."""
