#!lua flags=allow-oom
-- The keys that were issued. <tag>:keys id -> record (JSON); <tag>:revoked id -> when (s since 1970); <tag>:used id ->
-- when (s, coarse); <tag>:secrets, the names of the secrets that APIs hash under; <tag>:version, another text after each
-- change. No key of it ever ends by itself.
-- args: tag, verb, the version after a change, now (s), then the verb's own.
local tag, verb, version, now = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local at = { keys = tag .. ':keys', revoked = tag .. ':revoked', used = tag .. ':used', secrets = tag .. ':secrets' }
local MOST, LIVE, KEPT = 500, 2, 30 * 86400 -- keys in all; live ones of a name; seconds that an ended one is shown

local function live(record)
  return redis.call('HEXISTS', at.revoked, record.id) == 0 and (record.expires == 0 or record.expires > now)
end

local function changed() redis.call('SET', tag .. ':version', version) end

-- Forget what ended long ago.
local function sweep()
  local flat = redis.call('HGETALL', at.keys)
  for n = 1, #flat, 2 do
    local record = cjson.decode(flat[n + 1])
    local ended = tonumber(redis.call('HGET', at.revoked, record.id) or record.expires)
    if ended > 0 and ended + KEPT < now then
      for _, key in pairs({ at.keys, at.revoked, at.used }) do redis.call('HDEL', key, record.id) end
    end
  end
end

-- args: record, the name of the secret. gives: 'issued', 'secret' (no API has it), 'full', or the live keys of its name.
if verb == 'issue' then
  local wanted, others = cjson.decode(ARGV[4]), {}
  if redis.call('SCARD', at.secrets) > 0 and redis.call('SISMEMBER', at.secrets, ARGV[5]) == 0 then return { 'secret' } end
  sweep()
  if redis.call('HLEN', at.keys) >= MOST then return { 'full' } end
  for _, text in ipairs(redis.call('HVALS', at.keys)) do
    local record = cjson.decode(text)
    if record.name == wanted.name and record.id ~= wanted.id and live(record) then others[#others + 1] = record.id end
  end
  if #others >= LIVE then return { 'live', unpack(others) } end
  redis.call('HSET', at.keys, wanted.id, ARGV[4])
  changed()
  return { 'issued' }
end

-- args: id. gives: 'revoked', 'already' or 'unknown'.
if verb == 'revoke' then
  if redis.call('HEXISTS', at.keys, ARGV[4]) == 0 then return { 'unknown' } end
  if redis.call('HSETNX', at.revoked, ARGV[4], ARGV[3]) == 0 then return { 'already' } end
  changed()
  return { 'revoked' }
end

-- The same key, hashed under another secret. args: id, the record as it was, and as it is to be.
if verb == 'replace' then
  if redis.call('HGET', at.keys, ARGV[4]) ~= ARGV[5] then return { 'stale' } end
  redis.call('HSET', at.keys, ARGV[4], ARGV[6])
  changed()
  return { 'replaced' }
end

-- What an API knows and the store has lost. args: how many records; id, record of each; then id, when of each revoked.
if verb == 'mend' then
  local last = 4 + 2 * tonumber(ARGV[4])
  for n = 5, #ARGV, 2 do redis.call('HSETNX', n < last and at.keys or at.revoked, ARGV[n], ARGV[n + 1]) end
  changed()
  return { 'mended' }
end

-- gives: the version, and all of it.
return {
  redis.call('GET', tag .. ':version') or '', redis.call('HGETALL', at.keys), redis.call('HGETALL', at.revoked),
  redis.call('HGETALL', at.used),
}
