"""Turns of `POST /chat/` that a Dapr Workflow carries (docs/workflow.md).

Imported only where `AGENT_ACTORS_ORCHESTRATION=workflow`: the SDK's part of it costs a start.
"""
