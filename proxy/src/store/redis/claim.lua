-- Uses a nonce up, in one step.
--
-- KEYS: the epoch, the nonce. ARGV: the server's run_id; the epoch's name as the gate knows it; when the
-- signature says that it was made; the gate's clock; its window; all in milliseconds. Returns {what, how many milliseconds}:
-- 0 fresh, 1 used before, 2 another epoch, 3 the epoch is opening, 4 the clocks differ, 5 too old to tell.
local epoch = redis.call('HMGET', KEYS[1], 'name', 'opened_at', 'window', 'run_id', 'narrow_until', 'narrow')
if epoch[1] ~= ARGV[2] or epoch[4] ~= ARGV[1] then
  return {2, 0}
end
local created, gate, window = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local opened, widest = tonumber(epoch[2]), tonumber(epoch[3])
if window > widest then
  return {2, 0}
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if created <= opened + widest then
  return {3, opened + widest - now}
end
-- Made when the window was smaller, it may have been let in, and be forgotten by now.
if epoch[5] and created <= tonumber(epoch[5]) and now - created > tonumber(epoch[6]) then
  return {5, 0}
end
-- With all gates within half a window of this clock, none lets in what another one has forgotten. And what
-- is let in was made at most a window after now, so that an epoch that opens later covers it.
if math.abs(now - gate) * 2 > widest or created > now + widest then
  return {redis.call('EXISTS', KEYS[2]) == 1 and 1 or 4, now - gate}
end
if redis.call('SET', KEYS[2], '', 'NX', 'PX', string.format('%.0f', 3 * widest)) then
  return {0, 0}
end
return {1, 0}
