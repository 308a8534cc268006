multiIf(
    SeverityNumber >= 21, 'FATAL',
    SeverityNumber >= 17, 'ERROR',
    SeverityNumber >= 13, 'WARN',
    SeverityNumber >= 9, 'INFO',
    SeverityNumber >= 5, 'DEBUG',
    SeverityNumber >= 1, 'TRACE',
    -- The words of syslog, log4j, zap, java.util.logging, .NET, Python and glog, by
    -- the appendix of the logs data model; "critical" is .NET's and Python's.
    transform(
        lower(SeverityText),
        [
            'trace', 'finest', 'verbose', 't', 'v',
            'debug', 'finer', 'fine', 'config', 'dbg', 'd',
            'info', 'information', 'informational', 'notice', 'inf', 'i', 'n',
            'warn', 'warning', 'wrn', 'w',
            'error', 'err', 'severe', 'alert', 'dpanic', 'panic', 'e',
            'fatal', 'critical', 'crit', 'emergency', 'emerg', 'f', 'c'
        ],
        [
            'TRACE', 'TRACE', 'TRACE', 'TRACE', 'TRACE',
            'DEBUG', 'DEBUG', 'DEBUG', 'DEBUG', 'DEBUG', 'DEBUG',
            'INFO', 'INFO', 'INFO', 'INFO', 'INFO', 'INFO', 'INFO',
            'WARN', 'WARN', 'WARN', 'WARN',
            'ERROR', 'ERROR', 'ERROR', 'ERROR', 'ERROR', 'ERROR', 'ERROR',
            'FATAL', 'FATAL', 'FATAL', 'FATAL', 'FATAL', 'FATAL', 'FATAL'
        ],
        SeverityText
    )
)
