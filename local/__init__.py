"""One machine: the router, the workers, the scheduler, the stand-in acquirer and the sample legacy database."""
