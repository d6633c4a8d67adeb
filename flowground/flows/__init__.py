"""Flow files: read, validated and wired into flows that can run, with their fields, tweaks and tests."""
