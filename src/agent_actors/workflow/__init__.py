"""Turns of `POST /chat/` that are run by a Dapr Workflow (docs/workflow.md).

Imported only with `AGENT_ACTORS_ORCHESTRATION=workflow`: importing the SDK's workflow part is slow.
"""
