"""Figures that set settings side by side. The first eight of them; a setting has its colour in all figures."""
