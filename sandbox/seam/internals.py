"""What this package relies on of MiniStack's, checked at the start."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

# Everything of MiniStack's that this package calls or replaces.
RELIED_ON = {
    "app": "app SERVICE_HANDLERS _collect_scripts _extract_s3_vhost_bucket",
    "core.iam_actions": """SERVICE_TO_IAM_NAMESPACE _BOTOCORE_SERVICE_MAP extract_resource_arn
        request_tag_context access_denied_response identity_denial_message""",
    "core.iam_evaluator": """AuthError EvalContext enforce evaluate_resource_policy pin_request_origin
        _conditions_met _action_matches _resource_policy _service_principal_matches""",
    "core.lambda_runtime": "reset _detect_runtime_binary",
    "core.responses": "request_scope",
    "core.router": "SERVICE_PATTERNS detect_service extract_access_key_id",
    "services.cloudwatch": """_alarms _composite_alarms _metrics _put_metric_data _record_history
        record_metric _evaluate_alarm _evaluate_all_alarms _evaluate_parent_alarms _dispatch_alarm_actions
        _dims_key _dims_from_list _stat_value _calc_stats""",
    "services.cloudwatch_logs": """_log_groups _create_log_group _create_log_stream _put_log_events
        _filter_log_events _resolve_log_group_name""",
    "services.dynamodb": "_tables",
    "services.eventbridge": "_dispatch_event _invoke_target _pattern_event_view _put_events",
    "services.iam": "_roles",
    "services.kms": "_resolve_key",
    "services.lambda_svc": "_functions _emit_lambda_logs _sqs_esm_concurrency",
    "services.s3": "_bucket_default_sse_headers _fire_s3_event handle_request",
    "services.sns": "_topic_by_arn_any_scope topic_policy_for_arn",
    "services.sqs": """_ensure_msg_fields _get_q _queue_by_arn _queues _receive_messages_for_esm
        queue_delay""",
    "services.stepfunctions": """_ExecutionError _emit_execution_status_event _execute_task _invoke_resource
        _resolve_state_machine_arn _state_machines _sdk_json_params _sdk_json_result _AWS_SDK_ERROR_PREFIX""",
    "services.sts": "register_session _evict_expired_sessions _future _sessions",
}


def ministack(module: str) -> Any:
    """A module of MiniStack's, by its name below the package."""
    return importlib.import_module(f"ministack.{module}")


def check() -> None:
    """Raise RuntimeError naming what MiniStack no longer has of what this package relies on."""
    missing = [
        f"ministack.{module}.{name}"
        for module, names in RELIED_ON.items()
        for name in names.split()
        if not hasattr(ministack(module), name)
    ]
    if missing:
        version = importlib.metadata.version("ministack")
        raise RuntimeError(
            f"ministack {version} has moved {', '.join(missing)}; sandbox/seam needs to follow."
        )
