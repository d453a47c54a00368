"""Which tokens are valid: the one condition that every look-up by token carries."""

import sqlalchemy as sa

from app.models import ApiToken, User


def valid_token() -> sa.ColumnElement[bool]:
    """Joins a token, bound as `token_hash` and `now`, to a user who is not disabled."""
    return sa.and_(
        ApiToken.user_id == User.id,
        ApiToken.token_hash == sa.bindparam("token_hash", type_=ApiToken.token_hash.type),
        sa.or_(
            ApiToken.expires_at.is_(None), ApiToken.expires_at > sa.bindparam("now", type_=ApiToken.created_at.type)
        ),
        User.disabled_at.is_(None),
    )
