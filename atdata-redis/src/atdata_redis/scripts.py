"""The two scripts that run in the server: one commits, one reads a page."""

from __future__ import annotations

import hashlib
from typing import Final


class Script:
    """A Lua script and the digest by which the server remembers it."""

    def __init__(self, text: str) -> None:
        self.text = text
        # The name by which Redis knows a script, nothing secret.
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


# KEYS: the format's key, the commit's own key, then the bodies and the order of each kind.
# ARGV: the format, "1" if the index must not exist yet, how many seconds the commit is remembered,
# then six of each operation: which kind, member, expectation, expected body, verb, new body.
#
# Nothing undoes a script that fails half-way. So whatever can fail is tried before anything is
# written: the user's rights, the type of every key, and each expectation. For want of memory only
# the first write of a script is refused, and deleting needs none.
COMMIT: Final = Script("""
if redis.call('EXISTS', KEYS[2]) == 1 then return {'done'} end
local format = redis.call('GET', KEYS[1])
if format and (format ~= ARGV[1] or ARGV[2] == '1') then return {'format', format} end
if redis.acl_check_cmd then
  for _, command in ipairs({'HSET', 'ZADD', 'HDEL', 'ZREM', 'SET'}) do
    if not redis.acl_check_cmd(command, KEYS[1], '0', '0') then
      return redis.error_reply('NOPERM ' .. command)
    end
  end
end
for number = 3, #KEYS, 2 do
  redis.call('HLEN', KEYS[number])
  redis.call('ZCARD', KEYS[number + 1])
end
local failed = {}
for at = 4, #ARGV, 6 do
  local expectation = ARGV[at + 2]
  if expectation ~= 'any' then
    local current = redis.call('HGET', KEYS[1 + 2 * ARGV[at]], ARGV[at + 1])
    local wanted = expectation == 'body' and ARGV[at + 3]
    if current ~= wanted then
      failed[#failed + 1] = (at - 4) / 6
      failed[#failed + 1] = current
    end
  end
end
if #failed > 0 then return {'failed', unpack(failed, 1, math.min(#failed, 1000))} end
for at = 4, #ARGV, 6 do
  if ARGV[at + 4] == 'delete' then
    redis.call('HDEL', KEYS[1 + 2 * ARGV[at]], ARGV[at + 1])
    redis.call('ZREM', KEYS[2 + 2 * ARGV[at]], ARGV[at + 1])
  end
end
for at = 4, #ARGV, 6 do
  if ARGV[at + 4] == 'put' then
    redis.call('HSET', KEYS[1 + 2 * ARGV[at]], ARGV[at + 1], ARGV[at + 5])
    redis.call('ZADD', KEYS[2 + 2 * ARGV[at]], 0, ARGV[at + 1])
  end
end
redis.call('SET', KEYS[2], '1', 'EX', ARGV[3])
if not format then redis.call('SET', KEYS[1], ARGV[1]) end
return {'done'}
""")

# KEYS: the bodies and the order of a kind. ARGV: the command that reads the order, both ends of
# the range, and the limit. As many bodies at once as Lua's stack is sure to hold.
SCAN: Final = Script("""
local members = redis.call(ARGV[1], KEYS[2], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local found = {}
for first = 1, #members, 1000 do
  local last = math.min(first + 999, #members)
  local bodies = redis.call('HMGET', KEYS[1], unpack(members, first, last))
  for number = 1, #bodies do
    found[#found + 1] = members[first + number - 1]
    found[#found + 1] = bodies[number]
  end
end
return found
""")
