"""Records of calls, legs and recordings, and the place reached in the journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "calls",
        sa.Column("call_id", sa.String, nullable=False),
        sa.Column("number", sa.String, nullable=False),
        sa.Column("caller_number", sa.String, nullable=False),
        sa.Column("caller_name", sa.String, nullable=False),
        sa.Column("extension", sa.String, nullable=False),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("answered_at", instant),
        sa.Column("ended_at", instant, nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
        sa.Column("talk_s", sa.Float, nullable=False),
        sa.Column("wait_s", sa.Float, nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("ended_by", sa.String, nullable=False),
        sa.Column("queue", sa.String, nullable=False),
        sa.Column("agent_id", sa.String, nullable=False),
        sa.Column("customer_id", sa.String, nullable=False),
        sa.Column("customer_name", sa.String, nullable=False),
        sa.Column("recording", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_calls"),
    )
    for column in ("started_at", "caller_number", "number"):
        op.create_index(f"ix_calls_{column}", "calls", [column])
    op.create_table(
        "legs",
        sa.Column("leg_id", sa.String, nullable=False),
        sa.Column("call_id", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("number", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("ringing_at", instant),
        sa.Column("answered_at", instant),
        sa.Column("ended_at", instant, nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("agent_id", sa.String, nullable=False),
        sa.Column("dial_id", sa.String, nullable=False),
        sa.Column("codec", sa.String, nullable=False),
        sa.Column("packets_sent", sa.BigInteger, nullable=False),
        sa.Column("packets_received", sa.BigInteger, nullable=False),
        sa.Column("packets_lost", sa.BigInteger, nullable=False),
        sa.Column("jitter_ms", sa.Float, nullable=False),
        sa.Column("loss_remote", sa.Float),
        sa.Column("round_trip_ms", sa.Float),
        sa.PrimaryKeyConstraint("leg_id", name="pk_legs"),
    )
    op.create_index("ix_legs_call_id", "legs", ["call_id"])
    op.create_table(
        "recordings",
        sa.Column("recording_id", sa.String, nullable=False),
        sa.Column("call_id", sa.String, nullable=False),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
        sa.Column("error", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("recording_id", name="pk_recordings"),
    )
    op.create_index("ix_recordings_call_id", "recordings", ["call_id"])
    op.create_table(
        "projection",
        sa.Column("journal_id", sa.String, nullable=False),
        sa.Column("next_seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("journal_id", name="pk_projection"),
    )


def downgrade() -> None:
    """Remove them; the journal can make their contents again."""
    for table in ("projection", "recordings", "legs", "calls"):
        op.drop_table(table)
