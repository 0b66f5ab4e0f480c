"""A day of one account, asked by the client that openapi-python-client made of docs/openapi.json. Knows nothing else of the API.

Usage: round-trip.py URL, with the folder of `asbb_client` on PYTHONPATH. Prints one line for each step.
"""

import sys
import uuid

from asbb_client.api.accounts import create_account, delete_account, deposit, list_accounts, list_holds_of_account
from asbb_client.api.accounts import list_transactions, show_account, update_account
from asbb_client.api.budget import check_budget, quote_budget, reconcile
from asbb_client.api.clusters import beat_cluster, list_clusters
from asbb_client.api.holds import bind_hold, list_holds_of_cluster, release_hold, settle_runs, show_hold
from asbb_client.api.partitions import delete_partition, put_partition, show_partition
from asbb_client.api.service import audit, health, show_open_api, show_settings
from asbb_client.api.usage import show_usage
from asbb_client.client import Client
from asbb_client.models import (
    AuditRequest,
    BindRequest,
    CheckRequest,
    ClusterRequest,
    CreateAccountRequest,
    DepositRequest,
    PartitionRequest,
    PartitionRequestUnpriced,
    QuoteRequest,
    ReconcileRequest,
    Refusal,
    ReleaseRequest,
    Run,
    RunsRequest,
    ShowUsageBy,
    UpdateAccountRequest,
)
from asbb_client.types import Unset

client = Client(base_url=f"{sys.argv[1]}/api/v1")


def step(name, condition, seen):
    if not condition:
        sys.exit(f"{name}: not so: {seen}")
    print(name)


def job(**more):
    return {"account": "physics", "partition": "ten", "user": "curie", "cluster": "alpha", "nodes": 1, "wall_time": "01:00:00", **more}


seen = health.sync(client=client)
step("health", seen.status == "ok", seen)

seen = create_account.sync(client=client, body=CreateAccountRequest(account="physics", budget_limit=100.5))
step("create account", seen.account == "physics" and seen.budget_available == 100.5 and seen.start_date is None, seen)
seen = create_account.sync(client=client, body=CreateAccountRequest(account="physics", budget_limit=1))
step("refuse a second", isinstance(seen, Refusal) and seen.error.code == "account_exists", seen)

model = PartitionRequest(region="us-east-1", instance_types=[], unpriced=PartitionRequestUnpriced.FLAT, flat_rate_per_node_hour=10)
seen = put_partition.sync("ten", client=client, body=model)
step("put partition", seen.flat_rate_per_node_hour == 10 and seen.threads_per_core == 2, seen)
seen = show_partition.sync("ten", client=client)
step("show partition", seen.partition == "ten" and seen.unpriced == "flat", seen)

seen = quote_budget.sync(client=client, body=QuoteRequest(**job()))
step("quote", seen.available and seen.hold_amount == 12 and isinstance(seen.hold_id, Unset), seen)

hold_id = str(uuid.uuid4())
seen = check_budget.sync(client=client, body=CheckRequest(**job(hold_id=hold_id)))
step("check", seen.decision == "admitted" and seen.hold_id == hold_id and seen.expires_at.year > 2000, seen)

seen = beat_cluster.sync("alpha", client=client, body=ClusterRequest(cluster_uid="uid"))
step("heartbeat", seen.cluster == "alpha", seen)
seen = bind_hold.sync(hold_id, client=client, body=BindRequest(cluster="alpha", job_id="7", submitted_at="2026-11-23T15:00:00Z"))
step("bind", seen.job_id == "7" and seen.state == "open", seen)
seen = list_holds_of_cluster.sync(client=client, cluster="alpha", bound=True, limit=5)
step("list holds of cluster", [hold.hold_id for hold in seen.holds] == [hold_id], seen)

seen = reconcile.sync(client=client, body=ReconcileRequest(transaction_id=hold_id, actual_cost=9.5))
step("reconcile", seen.success and seen.refund_amount == 2.5 and seen.hold_state == "settled", seen)
seen = show_hold.sync(hold_id, client=client)
step("show hold", seen.used == 9.5 and seen.runs[0].actual_charge == 9.5 and seen.spec.wall_time == "01:00:00", seen)

seen = check_budget.sync(client=client, body=CheckRequest(**job(nodes=20)))
step("refuse", not seen.available and seen.code == "insufficient_budget" and seen.fits.nodes == 7, seen)

other = str(uuid.uuid4())
check_budget.sync(client=client, body=CheckRequest(**job(hold_id=other)))
seen = release_hold.sync(other, client=client, body=ReleaseRequest(reason="cancelled"))
step("release", seen.state == "released" and seen.amount == 0, seen)

array = str(uuid.uuid4())
check_budget.sync(client=client, body=CheckRequest(**job(hold_id=array, array="0-1")))
runs = [Run(run_id=f"alpha-{task}", elapsed_seconds=1800, nodes=1) for task in range(2)]
seen = settle_runs.sync(array, client=client, body=RunsRequest(runs=runs))
step("settle an array", [result.actual_charge for result in seen.results] == [5, 5], seen)

seen = deposit.sync("physics", client=client, body=DepositRequest(amount=-0.5, deposit_id="d1", note="rounded"))
step("withdraw", seen.budget_limit == 100, seen)
seen = update_account.sync("physics", client=client, body=UpdateAccountRequest(name="Physics", end_date=None))
step("update account", seen.name == "Physics", seen)
seen = show_account.sync("physics", client=client)
step("show account", seen.budget_used == 19.5 and seen.budget_held == 0 and seen.budget_available == 80.5, seen)

seen = list_accounts.sync(client=client)
step("list accounts", [account.account for account in seen.accounts] == ["physics"], seen)
seen = list_holds_of_account.sync("physics", client=client, limit=2)
step("list holds, a page", len(seen.holds) == 2 and not isinstance(seen.cursor, Unset), seen)
seen = list_holds_of_account.sync("physics", client=client, limit=2, cursor=seen.cursor)
step("list holds, the rest", [hold.hold_id for hold in seen.holds] == [hold_id], seen)
seen = list_transactions.sync("physics", client=client)
step("list transactions", seen.transactions[0].type_ == "deposit" and seen.transactions[0].amount == 100.5, seen)
seen = list_clusters.sync(client=client)
step("list clusters", seen.clusters[0].cluster == "alpha", seen)

seen = show_usage.sync(client=client, by=ShowUsageBy.USER)
step("usage", seen.rows[0].key == "curie" and seen.total.used == 19.5 and seen.total.jobs == 3, seen)
seen = audit.sync(client=client, body=AuditRequest())
step("audit", seen.differences == [], seen)
seen = show_settings.sync(client=client)
step("settings", seen.hold_percentage == 1.2 and seen.reconciliation_timeout_seconds == 86400 and seen.advisor_url is None, seen)
seen = show_open_api.sync(client=client)
step("this document", seen["openapi"].startswith("3.1"), seen)

seen = show_account.sync("nobody", client=client)
step("refuse an unknown account", isinstance(seen, Refusal) and seen.error.code == "account_not_found", seen)
seen = delete_account.sync_detailed("physics", client=client)
step("close account", seen.status_code == 204, seen)
seen = delete_partition.sync_detailed("ten", client=client)
step("delete partition", seen.status_code == 204, seen)
