"""How a database became what it is: functions that are only ever appended, never changed."""
