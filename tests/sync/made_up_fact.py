"""A made-up fact of a user. Import this module before tables and schemas, which read the lists."""

from dataclasses import replace

from sqlalchemy.orm import Mapped

from partner_connector.db.facts import PERSON, Fact, PersonFacts

NICKNAME = Fact(64, "user_name_changed", field="nickname", personal=True, example="Addy")

PersonFacts.__annotations__["nickname"] = Mapped[str | None]
setattr(PersonFacts, "nickname", NICKNAME.column())  # noqa: B010 - the class does not declare it
PERSON["nickname"] = replace(NICKNAME, type=str | None)
