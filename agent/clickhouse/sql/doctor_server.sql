SELECT version(), currentDatabase(), toUnixTimestamp64Milli(now64(3))
