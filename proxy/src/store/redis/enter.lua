-- Opens an epoch, or joins the one that is open.
--
-- An epoch is what one run of a server remembers without a gap. Where it is missing, the data was lost;
-- where it names another run, the server began anew and may have lost what it was last told. Then another
-- epoch begins, and nothing that was signed before its end of opening can be told from a replay.
--
-- KEYS: the epoch. ARGV: the server's run_id; a fresh name for an epoch; the name of the epoch that the
-- gate knows, or nothing; the gate's clock; the latest time at which it let a claim in; its window; all in
-- milliseconds. Returns {joined?, the server's clock, the epoch's name, opened at}.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local gate, peak, window = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local epoch = redis.call('HMGET', KEYS[1], 'name', 'run_id', 'opened_at', 'window', 'narrow_until', 'narrow')
local before = tonumber(epoch[4] or 0)
local widest = math.max(window, before)
local opened = tonumber(epoch[3] or 0)

local function whole(number)
  return string.format('%.0f', number)
end

-- A clock that is far off would close the store for everybody, or open it too early.
if math.abs(now - gate) * 2 > widest then
  return {0, now, '', 0}
end
if not epoch[1] or epoch[2] ~= ARGV[1] then
  opened = math.max(opened, now, gate, peak)
  redis.call('HSET', KEYS[1], 'name', ARGV[2], 'run_id', ARGV[1], 'opened_at', whole(opened), 'window', whole(widest))
  redis.call('HDEL', KEYS[1], 'narrow_until', 'narrow')
  return {1, now, ARGV[2], opened}
end
if window > before then
  -- Nothing was lost, so nothing closes: the opening ends when it would have ended. But what was let in
  -- until now is remembered for the smaller window only, and is judged by that (`claim.lua`).
  opened = opened + before - widest
  local narrow = before
  if epoch[5] and now <= tonumber(epoch[5]) + before then
    narrow = math.min(narrow, tonumber(epoch[6]))
  end
  redis.call('HSET', KEYS[1], 'opened_at', whole(opened), 'window', whole(widest), 'narrow_until', whole(now + before),
    'narrow', whole(narrow))
end
-- This gate let claims in under another epoch: they may be forgotten here.
if epoch[1] ~= ARGV[3] and peak > opened then
  opened = peak
  redis.call('HSET', KEYS[1], 'opened_at', whole(opened))
end
return {1, now, epoch[1], opened}
