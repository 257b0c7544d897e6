"""One run: its request, recorder, measurement, gates and end."""
