"""The infrastructure on AWS: one construct per file, put together by `cdk.app`. It knows nothing of the product but the topology."""
