"""The file of `curation.reference_table`: an asset of the deployment, or an object that lies in S3 already."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from cdk.configuration import ReferenceFile
from cdk.grants import may_fetch


class ReferenceTable(Construct):
    """`overrides` says to every function where it is, so that all of them name the same hash of the configuration."""

    def __init__(self, scope: Construct, construct_id: str, *, file: ReferenceFile) -> None:
        super().__init__(scope, construct_id)
        self._bucket, self._key = file.bucket, file.key
        self.overrides: dict[str, Any] = {}
        if file.path is not None:
            asset = assets.Asset(self, "File", path=str(file.path))
            self._bucket, self._key = asset.s3_bucket_name, asset.s3_object_key
            # By its hash another file is another configuration, and no other file is taken for it.
            told = {"path": asset.s3_object_url, "sha256": file.sha256}
            self.overrides = {"curation": {"reference_table": told}}

    def may_be_read_by(self, role: iam.Role) -> None:
        """This one object, and no other of its bucket."""
        may_fetch(role, bucket=self._bucket, key=self._key)
