"""Extract: payments of a legacy system, from its watermark on, become raw chunks."""
