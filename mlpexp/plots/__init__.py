"""What is drawn without a run: functions, paths, schedules and data, each computed here and handed to a figure."""
