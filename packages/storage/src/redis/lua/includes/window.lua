-- A sliding window of 60 s, exact: whatever 60 s one looks at, no more than the limit was admitted in them.
--
-- One hash per scope: `r<second>` and `x<second>` are the requests and tokens charged in that second, `n` and `t` their
-- sums, `f` the first second that may still have fields, `l` the last second with a charge. A second counts until the
-- whole of it is more than 60 s ago, so 61 seconds count at any time. Loading takes off what has expired since the last
-- load: amortised one field pair per second, however many requests there are.
local WINDOW_S = 60
-- Prolonged by the first charge of a minute, so a window outlives its last charge by 61 s at least.
local WINDOW_TTL_MS = '125000'

local function window_load(key, now_ms)
  local sec = math.floor(now_ms / 1000)
  local s = int(sec)
  local h = redis.call('HMGET', key, 'f', 'l', 'n', 't', 'r' .. s, 'x' .. s)
  local w = { key = key, now_ms = now_ms, sec = sec, f = sec, l = false, n = 0, t = 0, r_sec = 0, x_sec = 0 }
  if not h[1] then
    return w
  end
  local first, last = tonumber(h[1]), tonumber(h[2])
  -- All of it expired; or Redis's clock went back by more than the window, which must not block anybody until then.
  if last < sec - WINDOW_S or last > sec + WINDOW_S then
    redis.call('DEL', key)
    return w
  end
  if last > sec then
    w.sec = last
    h[5], h[6] = unpack(redis.call('HMGET', key, 'r' .. last, 'x' .. last))
  end
  w.n, w.t, w.l, w.f = tonumber(h[3]), tonumber(h[4]), last, first
  w.r_sec, w.x_sec = tonumber(h[5] or 0), tonumber(h[6] or 0)
  local keep = w.sec - WINDOW_S
  if first < keep then
    local names = {}
    for s = first, keep - 1 do
      names[#names + 1] = 'r' .. s
      names[#names + 1] = 'x' .. s
    end
    local gone = redis.call('HMGET', key, unpack(names))
    for i = 1, #names, 2 do
      w.n = w.n - tonumber(gone[i] or 0)
      w.t = w.t - tonumber(gone[i + 1] or 0)
    end
    w.f = keep
    redis.call('HDEL', key, unpack(names))
    redis.call('HSET', key, 'f', int(w.f), 'n', int(w.n), 't', int(w.t))
  end
  return w
end

-- Whether a charge now would be the first one in this minute.
local function window_in_new_minute(w)
  return not w.l or math.floor(w.l / 60) ~= math.floor(w.sec / 60)
end

local function window_charge(w, requests, tokens)
  local s = w.sec
  w.n, w.t = w.n + requests, w.t + tokens
  w.r_sec, w.x_sec = w.r_sec + requests, w.x_sec + tokens
  local text = int(s)
  local r, x = 'r' .. text, 'x' .. text
  if w.l == s then
    redis.call('HSET', w.key, 'n', int(w.n), 't', int(w.t), r, int(w.r_sec), x, int(w.x_sec))
    return
  end
  redis.call('HSET', w.key, 'f', int(w.f), 'l', text, 'n', int(w.n), 't', int(w.t), r, int(w.r_sec), x, int(w.x_sec))
  if window_in_new_minute(w) then
    redis.call('PEXPIRE', w.key, WINDOW_TTL_MS)
  end
  w.l = s
end

-- Changes what was charged at second `at`. When that second has left the window, a surplus is charged now (the tokens
-- were consumed after all) and a deficit is forgotten (it is gone already).
local function window_correct(w, at, requests, tokens)
  if w.l and at >= w.f and at <= w.l then
    if requests ~= 0 then
      redis.call('HINCRBY', w.key, 'r' .. int(at), int(requests))
      redis.call('HINCRBY', w.key, 'n', int(requests))
    end
    if tokens ~= 0 then
      redis.call('HINCRBY', w.key, 'x' .. int(at), int(tokens))
      redis.call('HINCRBY', w.key, 't', int(tokens))
    end
  elseif tokens > 0 then
    window_charge(w, 0, tokens)
  end
end

-- Milliseconds until enough seconds have expired for the sum of `field` ('r' or 'x') to be below the limit.
local function window_wait_ms(w, field, sum, limit)
  local names = {}
  for s = w.f, w.sec do
    names[#names + 1] = field .. s
  end
  local counts = redis.call('HMGET', w.key, unpack(names))
  for i = 1, #names do
    sum = sum - tonumber(counts[i] or 0)
    if sum < limit then
      return (w.f + i - 1 + WINDOW_S + 1) * 1000 - w.now_ms
    end
  end
  return (WINDOW_S + 1) * 1000
end

-- Milliseconds until the window is empty again.
local function window_reset_ms(w)
  if not w.l then
    return 0
  end
  return (w.l + WINDOW_S + 1) * 1000 - w.now_ms
end
