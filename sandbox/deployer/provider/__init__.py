"""The provider side: `aws:` types on boto3, with the semantics of pulumi-aws."""
