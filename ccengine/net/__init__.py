"""asyncio sockets for SIP."""
