"""Gate targets -> paired comparison -> verdict."""
