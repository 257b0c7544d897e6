"""One run: request, recorder, measurement, gates, end."""
