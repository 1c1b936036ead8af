-- A sliding window of 60 s, exact: whatever 60 s one looks at, no more than the limit was admitted in them.
--
-- One packed string per scope, so that a request reads and writes its window with one command each, however long its key was
-- silent: a head of the last second with a charge, the sums of requests and tokens, and what that second has of both; then one
-- entry of second, requests and tokens for each earlier second with a charge, oldest first. A second counts until the whole of
-- it is more than 60 s ago, so 61 seconds count at any time. Loading leaves out what has expired; the next charge writes that.
local WINDOW_S = 60
-- A window outlives its last charge by 61 s at least; each new second prolongs it.
local WINDOW_TTL_MS = '70000'
local HEAD, HEAD_BYTES = '<I4dddd', 36
local ENTRY, ENTRY_BYTES = '<I4dd', 20

-- `l`: last second with a charge (false: none), `n` and `t`: sums, `r` and `x`: requests and tokens of `l`; `first`: where in
-- `text` the entries that still count begin. `sec` is the second that a charge would be put into.
local function window_load(key, now_ms)
  local sec = math.floor(now_ms / 1000)
  local w = { key = key, now_ms = now_ms, sec = sec, l = false, n = 0, t = 0, r = 0, x = 0, text = '', first = HEAD_BYTES + 1 }
  local text = redis.call('GET', key)
  if not text then
    return w
  end
  local last, n, t, r, x = struct.unpack(HEAD, text)
  -- All of it expired; or Redis's clock went back by more than the window, which must not block anybody until then.
  if last < sec - WINDOW_S or last > sec + WINDOW_S then
    return w
  end
  w.sec = math.max(sec, last)
  local first, keep = w.first, w.sec - WINDOW_S
  while first < #text do
    local s, requests, tokens = struct.unpack(ENTRY, text, first)
    if s >= keep then
      break
    end
    n, t, first = n - requests, t - tokens, first + ENTRY_BYTES
  end
  w.l, w.n, w.t, w.r, w.x, w.text, w.first = last, n, t, r, x, text, first
  return w
end

-- Whether a charge now would be the first one in this minute.
local function window_in_new_minute(w)
  return not w.l or math.floor(w.l / 60) ~= math.floor(w.sec / 60)
end

local function window_head(w)
  return struct.pack(HEAD, w.l, w.n, w.t, w.r, w.x)
end

local function window_rewrite(w, entries)
  w.text, w.first = window_head(w) .. entries, HEAD_BYTES + 1
  redis.call('SET', w.key, w.text, 'PX', WINDOW_TTL_MS)
end

local function window_charge(w, requests, tokens)
  local entries
  if w.l ~= w.sec then
    entries = w.l and string.sub(w.text, w.first) .. struct.pack(ENTRY, w.l, w.r, w.x) or ''
    w.l, w.r, w.x = w.sec, 0, 0
  elseif w.first > HEAD_BYTES + 1 then
    entries = string.sub(w.text, w.first)
  end
  w.n, w.t, w.r, w.x = w.n + requests, w.t + tokens, w.r + requests, w.x + tokens
  if entries then
    window_rewrite(w, entries)
  else
    redis.call('SETRANGE', w.key, '0', window_head(w))
  end
end

-- Changes what was charged at second `at`. When that second has left the window, a surplus is charged now (the tokens
-- were consumed after all) and a deficit is forgotten (it is gone already).
local function window_correct(w, at, requests, tokens)
  if w.l == at then
    w.sec = at
    window_charge(w, requests, tokens)
    return
  end
  -- From the end: most calls began a few seconds ago.
  for from = w.l and #w.text - ENTRY_BYTES + 1 or 0, w.first, -ENTRY_BYTES do
    local s, r, x = struct.unpack(ENTRY, w.text, from)
    if s == at then
      w.n, w.t = w.n + requests, w.t + tokens
      local entry = struct.pack(ENTRY, s, r + requests, x + tokens)
      if w.first == HEAD_BYTES + 1 then
        redis.call('SETRANGE', w.key, '0', window_head(w))
        redis.call('SETRANGE', w.key, int(from - 1), entry)
      else
        window_rewrite(w, string.sub(w.text, w.first, from - 1) .. entry .. string.sub(w.text, from + ENTRY_BYTES))
      end
      return
    end
  end
  if tokens > 0 then
    window_charge(w, 0, tokens)
  end
end

-- Milliseconds until enough seconds have expired for `sum` to be below the limit; `field` is 2 for requests, 3 for tokens.
local function window_wait_ms(w, field, sum, limit)
  for from = w.first, #w.text, ENTRY_BYTES do
    local entry = { struct.unpack(ENTRY, w.text, from) }
    sum = sum - entry[field]
    if sum < limit then
      return (entry[1] + WINDOW_S + 1) * 1000 - w.now_ms
    end
  end
  return ((w.l or w.sec) + WINDOW_S + 1) * 1000 - w.now_ms
end

-- Milliseconds until the window is empty again.
local function window_reset_ms(w)
  if not w.l then
    return 0
  end
  return (w.l + WINDOW_S + 1) * 1000 - w.now_ms
end
