-- Takes all that one request demands, or nothing.
--
-- KEYS: the gates; the record of this taking; the index of budgets; then for each demand: its counter, the
-- index of its kind, its budget, the index of budgets that share its root.
-- ARGV: the gate; tokens; the most counters of a kind; the most budgets; the most of one root; whether
-- something is held; then for each demand: requests and µs, tokens and µs, places, budget, what the gate
-- knows to be spent, the Unix ms at which the budget ends (-1: none).
-- Returns {0, spent…}, {1, demand, limit, wait in µs}, {2} when the gate is not among those that live, {3}
-- when there is no room, {4} when it was settled before it came.
local gate, tokens = ARGV[1], tonumber(ARGV[2])
local most, most_budgets, most_of_root = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local is_held = ARGV[6] == '1'
if not alive(gate) then
  return {2}
end
if is_held and redis.call('EXISTS', KEYS[2]) == 1 then
  return {4}
end

local demands = {}
for i = 7, #ARGV, 8 do
  local n = #demands
  demands[n + 1] = {
    requests = tonumber(ARGV[i]), requests_per = tonumber(ARGV[i + 1]),
    tokens = tonumber(ARGV[i + 2]), tokens_per = tonumber(ARGV[i + 3]),
    places = tonumber(ARGV[i + 4]), budget = tonumber(ARGV[i + 5]),
    known = tonumber(ARGV[i + 6]), ends = tonumber(ARGV[i + 7]),
    counter = KEYS[4 + n * 4], index = KEYS[5 + n * 4], purse = KEYS[6 + n * 4], root = KEYS[7 + n * 4],
  }
end

local worst
local function short(demand, limit, wait)
  if not worst or wait > worst[4] then
    worst = {1, demand - 1, limit, wait}
  end
end

-- Who wants more than a bucket ever holds gets what it holds, and pays the rest when it is settled.
local function take(fields, b, amount, count, per, demand, limit)
  flow_in(fields, b, count, per)
  local missing = fields[b .. 'm'] + math.min(amount, count)
  local lacking = missing - count
  -- Less than a millionth is the arithmetic's.
  if lacking > 0.000001 then
    short(demand, limit, math.ceil(lacking * per / count))
  else
    fields[b .. 'm'] = missing
  end
end

for number, demand in ipairs(demands) do
  if demand.requests >= 0 or demand.tokens >= 0 or demand.places >= 0 then
    local account = hash(demand.counter)
    if not account.found then
      if redis.call('ZCARD', demand.index) >= most then
        redis.call('ZREMRANGEBYSCORE', demand.index, '-inf', now_ms)
        if redis.call('ZCARD', demand.index) >= most then
          return {3}
        end
      end
    end
    if demand.requests >= 0 then
      take(account.fields, 'r', 1, demand.requests, demand.requests_per, number, 1)
    end
    if demand.tokens >= 0 then
      take(account.fields, 't', tokens, demand.tokens, demand.tokens_per, number, 2)
    end
    if demand.places >= 0 then
      if held(account, 'n:') >= demand.places then
        short(number, 3, 1000000)
      end
      local field = 'n:' .. gate
      account.fields[field] = (account.fields[field] or 0) + 1
    end
  end
end
if worst then
  return worst
end

local spent = {0}
for number, demand in ipairs(demands) do
  if demand.budget >= 0 then
    local purse = hash(demand.purse)
    local reserved, left = held(purse, 'r:')
    -- What a gate that is gone had set aside counts as spent.
    purse.fields.s = math.max((purse.fields.s or 0) + left, demand.known)
    local wanted = purse.fields.s + tokens
    if wanted > demand.budget then
      return {1, number - 1, 4, 86400000000}
    end
    if wanted + reserved > demand.budget then
      return {1, number - 1, 4, 1000000}
    end
    if not purse.found then
      redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now_ms)
      redis.call('ZREMRANGEBYSCORE', demand.root, '-inf', now_ms)
      if redis.call('ZCARD', KEYS[3]) >= most_budgets then
        return {3}
      end
      if demand.ends >= 0 and redis.call('ZCARD', demand.root) >= most_of_root then
        return {1, number - 1, 4, 86400000000}
      end
    end
    local field = 'r:' .. gate
    purse.fields[field] = (purse.fields[field] or 0) + tokens
    spent[#spent + 1] = string.format('%.0f', purse.fields.s)
  end
end

-- From here on nothing is refused.
for _, demand in ipairs(demands) do
  if demand.requests >= 0 or demand.tokens >= 0 or demand.places >= 0 then
    write_counter(accounts[demand.counter], demand.index)
  end
  if demand.budget >= 0 then
    write(accounts[demand.purse])
    if demand.ends >= 0 then
      redis.call('PEXPIREAT', demand.purse, string.format('%.0f', demand.ends + 86400000))
      redis.call('ZADD', KEYS[3], string.format('%.0f', demand.ends), demand.purse)
      redis.call('ZADD', demand.root, string.format('%.0f', demand.ends), demand.purse)
      redis.call('PEXPIRE', demand.root, WEEK * 52)
    else
      redis.call('ZADD', KEYS[3], '+inf', demand.purse)
    end
  end
end
if is_held then
  redis.call('SET', KEYS[2], 't', 'PX', string.format('%.0f', WEEK))
end
return spent
