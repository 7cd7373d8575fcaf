-- What `take` and `settle` have in common: a counter is a hash.
--
-- rm ra rc rp: the bucket of requests: how much is missing, when that was so (µs), its rate (so many in so
-- many µs). tm ta tc tp: the same for tokens. n:GATE: requests of that gate that run. A budget is a hash,
-- too: s: tokens spent, r:GATE: tokens that running requests of that gate have set aside.
local WEEK = 7 * 86400 * 1000

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now / 1000)

local function exact(number)
  return string.format('%.17g', number)
end

local lives = {}
-- Whether a gate has said lately that it lives. What one holds that does not is free again.
local function alive(gate)
  if lives[gate] == nil then
    local score = redis.call('ZSCORE', KEYS[1], gate)
    lives[gate] = score and tonumber(score) > now_ms or false
  end
  return lives[gate]
end

local accounts = {}
local function hash(key)
  if not accounts[key] then
    local account = {key = key, fields = {}, found = false}
    local flat = redis.call('HGETALL', key)
    for i = 1, #flat, 2 do
      account.fields[flat[i]] = tonumber(flat[i + 1])
      account.found = true
    end
    accounts[key] = account
  end
  return accounts[key]
end

-- How many a prefix of fields holds in all, of gates that live; those of the others are taken out and
-- returned.
local function held(account, prefix)
  local sum, left = 0, 0
  for field, count in pairs(account.fields) do
    if string.sub(field, 1, #prefix) == prefix then
      if alive(string.sub(field, #prefix + 1)) then
        sum = sum + count
      else
        left = left + count
        account.fields[field] = nil
      end
    end
  end
  return sum, left
end

-- Brings a bucket to this moment and to this rate.
local function flow_in(fields, b, count, per)
  local missing = fields[b .. 'm'] or 0
  if fields[b .. 'c'] then
    local past = math.max(0, now - fields[b .. 'a'])
    missing = math.max(0, missing - fields[b .. 'c'] * past / fields[b .. 'p'])
  end
  fields[b .. 'm'], fields[b .. 'c'], fields[b .. 'p'] = missing, count, per
  fields[b .. 'a'] = math.max(fields[b .. 'a'] or 0, now)
end

local function full_after(fields, b)
  if not fields[b .. 'c'] then
    return 0
  end
  return math.ceil(fields[b .. 'm'] * fields[b .. 'p'] / fields[b .. 'c'] / 1000)
end

-- Writes a hash anew.
local function write(account)
  redis.call('DEL', account.key)
  local flat = {}
  for field, value in pairs(account.fields) do
    flat[#flat + 1] = field
    flat[#flat + 1] = exact(value)
  end
  if #flat > 0 then
    redis.call('HSET', account.key, unpack(flat))
  end
  return #flat > 0
end

-- Writes a counter, for as long as it differs from an absent one.
local function write_counter(account, index)
  local rest = math.max(full_after(account.fields, 'r'), full_after(account.fields, 't'))
  if held(account, 'n:') > 0 then
    rest = math.max(rest, WEEK)
  end
  if rest > 0 and write(account) then
    redis.call('PEXPIRE', account.key, string.format('%.0f', rest))
    redis.call('ZADD', index, string.format('%.0f', now_ms + rest), account.key)
  else
    redis.call('DEL', account.key)
    redis.call('ZREM', index, account.key)
  end
end
