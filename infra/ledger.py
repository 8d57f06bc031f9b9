"""The ledger: what became of every object, which data there is, and which runs there were."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.naming import MAX_TABLE, Names, shorten
from infra.permissions import Permission

PARTITION, SORT, EXPIRY = "pk", "sk", "expires_at"
# A transaction has no action of its own, its parts have:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-apis-iam
KEEP = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem")


@dataclass(frozen=True, kw_only=True)
class LedgerArgs:
    """What `Ledger` needs.

    Attributes:
        names: Names of the stack.
        key_arn: Key it is encrypted with.
        protect: Whether it refuses to be deleted.
    """

    names: Names
    key_arn: pulumi.Input[str]
    protect: bool


class Ledger(pulumi.ComponentResource):
    """The table.

    Attributes:
        table: Its name.
    """

    table: pulumi.Output[str]

    def __init__(self, name: str, args: LedgerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:ledger:Ledger", name, {}, opts)
        table = shorten(args.names.named("ledger"), MAX_TABLE)
        self._arn = args.names.arn("dynamodb", f"table/{table}")
        self.resource = aws.dynamodb.Table(
            f"{name}-table",
            name=table,
            # Nobody pushes at an even pace, and an idle ledger costs nothing this way.
            billing_mode="PAY_PER_REQUEST",
            hash_key=PARTITION,
            range_key=SORT,
            attributes=[aws.dynamodb.TableAttributeArgs(name=key, type="S") for key in (PARTITION, SORT)],
            ttl=aws.dynamodb.TableTtlArgs(attribute_name=EXPIRY, enabled=True),
            point_in_time_recovery=aws.dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(
                enabled=True, kms_key_arn=args.key_arn
            ),
            deletion_protection_enabled=args.protect,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.table = self.resource.name
        self.register_outputs({"table": self.table})

    def note(self, sid: str) -> Permission:
        """Read records and write whole ones; changing parts of them is not part of it."""
        actions = [action for action in KEEP if action != "dynamodb:UpdateItem"]
        return Permission(sid=sid, actions=actions, resources=[self._arn])

    def keep(self, sid: str, *more: str) -> Permission:
        """Read and write records; nobody here may scan, delete or export the table.

        Args:
            sid: What it is for.
            more: Further actions on the table.
        """
        return Permission(sid=sid, actions=sorted([*KEEP, *more]), resources=[self._arn])
