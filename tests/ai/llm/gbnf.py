"""A reader of GBNF without recursion: a grammar becomes one regular expression, for tests to match and draw from."""

from __future__ import annotations

import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\{[0-9,]+\}|[()|?*+]|[a-z][a-z0-9-]*|\s+')


def as_regex(grammar: str) -> str:
    """Return a regular expression that matches what the rule `root` matches.

    Raises:
        ValueError: a rule is missing, repeated, or holds something that is not GBNF.
    """
    rules: dict[str, str] = {}
    for line in grammar.splitlines():
        name, arrow, body = line.partition(" ::= ")
        if not arrow or name in rules or not body.strip():
            raise ValueError(f"no rule: {line!r}")
        rules[name] = body
    return _expanded("root", rules, {})


def _expanded(name: str, rules: dict[str, str], done: dict[str, str]) -> str:
    if name not in done:
        parts, place, body = [], 0, rules[name]
        while place < len(body):
            match = _TOKEN.match(body, place)
            if match is None:
                raise ValueError(f"{name}: {body[place:]!r} is not GBNF")
            parts.append(_part(match[0], rules, done))
            place = match.end()
        done[name] = f"(?:{''.join(parts)})"
    return done[name]


def _part(token: str, rules: dict[str, str], done: dict[str, str]) -> str:
    if token.isspace():
        return ""
    if token[0] == '"':
        text = re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), token[1:-1])
        return f"(?:{re.escape(text)})"
    if token == "(":
        return "(?:"
    return _expanded(token, rules, done) if token[0].isalpha() else token
