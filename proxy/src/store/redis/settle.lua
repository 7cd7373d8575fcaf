-- Ends one taking, once: places are free again, and what was used takes the place of what was set aside.
--
-- KEYS: the gates; the record of the taking; then for each part: its counter, the index of its kind, its
-- budget. ARGV: the gate; tokens taken; tokens used; for how many ms it is remembered that this is done;
-- then for each part: tokens and µs of its rate, whether it holds a place, whether it has a budget.
-- Returns the tokens spent of each budget.
local gate, taken, used = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local record = redis.call('GET', KEYS[2])
redis.call('SET', KEYS[2], 'd', 'PX', ARGV[4])
if record == 'd' then
  return {}
end

local spent, touched = {}, {}
for i = 5, #ARGV, 4 do
  local n = (i - 5) / 4
  local count, per = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local counter, index, purse = KEYS[3 + n * 3], KEYS[4 + n * 3], KEYS[5 + n * 3]
  local place, has_budget = ARGV[i + 2] == '1', ARGV[i + 3] == '1'
  -- Without a record nothing is held: it was never taken, or the store has lost it.
  if record and (place or count >= 0) then
    local fields = hash(counter).fields
    local field = 'n:' .. gate
    if place and fields[field] then
      fields[field] = fields[field] > 1 and fields[field] - 1 or nil
    end
    if count >= 0 then
      flow_in(fields, 't', count, per)
      fields.tm = math.max(0, fields.tm + used - math.min(taken, count))
    end
    touched[counter] = index
  end
  if has_budget then
    local fields = hash(purse).fields
    local field = 'r:' .. gate
    local aside = fields[field] or 0
    if record and aside >= taken then
      fields[field] = aside > taken and aside - taken or nil
      fields.s = (fields.s or 0) + used
    elseif record then
      -- The gate was held to be gone, and what it had set aside counts as spent already.
      fields.s = math.max(0, (fields.s or 0) + used - taken)
    else
      fields.s = (fields.s or 0) + used
    end
    spent[#spent + 1] = string.format('%.0f', fields.s)
    touched[purse] = ''
  end
end
for key, index in pairs(touched) do
  if index ~= '' then
    write_counter(accounts[key], index)
  elseif used > 0 or accounts[key].found then
    local ttl = redis.call('PTTL', key)
    write(accounts[key])
    if ttl > 0 then
      redis.call('PEXPIRE', key, ttl)
    end
  end
end
return spent
