"""What every Python service of the stack shares: JSON logs, secret files, the request id, graceful serving."""
