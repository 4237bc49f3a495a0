#!lua
-- admit: take a job in once; a duplicate is told what became of the first and costs its user nothing.
-- args: items backlog
-- item: id kind fingerprint nonce delay max_attempts doubt bucket limit window
-- payloads: one an item
-- gives: admitted | seen | limited | full
-- emits: admitted
local WINDOW = 7 * 24 * 3600 * 1000
local DRAWER = WINDOW / 2
local logical = logical_clock()
local drawer = math.floor(logical / DRAWER)

-- Records of seen ids lie in drawers of half a window; a whole drawer is thrown away when it is too old.
local function first_request(id)
  for n = drawer, drawer - 2, -1 do
    local seen = redis.call('HGET', tag .. ':seen:' .. n, id)
    if seen then
      local fingerprint, at, nonce = string.match(seen, '^(%x+) (%d+) (%S+)$')
      if logical - tonumber(at) < WINDOW then return fingerprint, nonce end
    end
  end
  local payload = redis.call('HGET', job_key(id), 'payload')
  if payload then return string.sub(redis.sha1hex(payload), 1, 16) end
  return redis.call('EXISTS', job_key(id)) == 1 and 'unknown' or nil
end

-- Milliseconds until the window has room. A time that lies ahead was written before the clock was set back.
local function rate_wait(item)
  if not item.bucket then return 0 end
  local oldest = tonumber(redis.call('LINDEX', tag .. ':rate:' .. item.bucket, -item.limit) or nil)
  if not oldest or oldest > now then return 0 end
  return math.max(0, oldest + item.window - now)
end

local function charge(item)
  if not item.bucket then return end
  local key = tag .. ':rate:' .. item.bucket
  redis.call('RPUSH', key, now)
  redis.call('LTRIM', key, -item.limit, -1)
  redis.call('PEXPIRE', key, item.window)
end

local function write(item, payload)
  local job = {id = item.id, kind = item.kind, attempts = 0, max_attempts = item.max_attempts}
  local fields = {kind = item.kind, payload = payload, created = now, max_attempts = item.max_attempts,
    doubt = item.doubt}
  redis.call('HSET', tag .. ':seen:' .. drawer, item.id, item.fingerprint .. ' ' .. logical .. ' ' .. item.nonce)
  charge(item)
  if item.delay > 0 then
    fields.due = now + item.delay
    redis.call('ZADD', due_key, micros + item.delay * 1000, item.id)
    record(job, 'admitted', 'scheduled', fields, {due = fields.due})
  else
    enqueue(job, place())
    record(job, 'admitted', 'enqueued', fields)
    wake(item.kind)
  end
end

return each(function(item, i)
  local fingerprint, nonce = first_request(item.id)
  if fingerprint and nonce ~= item.nonce then
    local state = redis.call('HGET', job_key(item.id), 'state') or nil
    return {word = 'seen', state = state, same = fingerprint == item.fingerprint}
  end
  if fingerprint then return {word = 'admitted'} end
  if redis.call('ZCARD', enqueued_key(item.kind)) >= args.backlog then return {word = 'full'} end
  local wait = rate_wait(item)
  if wait > 0 then return {word = 'limited', wait = wait} end
  write(item, ARGV[i + 1])
  return {word = 'admitted'}
end)
