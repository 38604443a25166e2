"""The interop check's parts: the cases, and the brokers, clients and the proxy that they are made of."""
