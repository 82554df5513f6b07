-- Makes of Quarto's constructs that the report uses what a page shows: callouts, tabsets, references to numbered
-- figures and tables, figures and tables in divs, columns (layout-ncol) and fig-alt. Plain Pandoc runs it before
-- citeproc, which would take @fig-x for a citation, and Quarto before its own filters, so that both make the same page.
-- https://quarto.org/docs/authoring/ is the reference. A reference to nothing and a label used twice are errors.

local KINDS = { fig = "Figure", tbl = "Table" }
local CALLOUTS = { note = "Note", tip = "Tip", warning = "Warning", important = "Important", caution = "Caution" }
-- Prefixes that Quarto keeps for cross-references and that this filter does not number: refused, not printed as text.
local OTHERS = { sec = true, eq = true, lst = true, thm = true, lem = true, cor = true, prp = true, def = true, exm = true }

local PAPER = not FORMAT:match("html") -- paper.lua has prepared what folds

local problems = {}

local function problem(text)
  table.insert(problems, text)
end

local function html(text)
  return pandoc.RawBlock("html", text)
end

local function escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function kind_of(id)
  local prefix = id:match("^(%a+)%-")
  return prefix and KINDS[prefix:lower()] and prefix:lower() or nil
end

-- Callouts ------------------------------------------------------------------------------------------------------------

local function callout(div)
  local kind
  for _, class in ipairs(div.classes) do
    kind = kind or class:match("^callout%-(%a+)$")
  end
  if not (kind and CALLOUTS[kind]) then
    return nil
  end
  local title, body = pandoc.Inlines(CALLOUTS[kind]), div.content
  if body[1] and body[1].t == "Header" then
    title = body[1].content
    body:remove(1)
  elseif div.attributes.title then
    title = pandoc.utils.blocks_to_inlines(pandoc.read(div.attributes.title, "markdown-smart").blocks)
  end
  local class, id = "callout callout-" .. kind, div.identifier
  local named = id ~= "" and string.format(' id="%s"', escape(id)) or ""
  if div.attributes.collapse == nil then
    return pandoc.Blocks({
      html(string.format('<div class="%s" role="note"%s>', class, named)),
      pandoc.Div(pandoc.Plain(title), pandoc.Attr("", { "callout-title" })),
      pandoc.Div(body, pandoc.Attr("", { "callout-body" })),
      html("</div>"),
    })
  end
  local open = div.attributes.collapse == "false" and " open" or ""
  return pandoc.Blocks({
    html(string.format('<details class="%s"%s%s>\n<summary class="callout-title">', class, named, open)),
    pandoc.Plain(title),
    html("</summary>"),
    pandoc.Div(body, pandoc.Attr("", { "callout-body" })),
    html("</details>"),
  })
end

-- Tabsets: https://www.w3.org/WAI/ARIA/apg/patterns/tabs/ (page.js switches; without it all panels show) ---------------

local tabsets = 0

local function tabset(div)
  if not div.classes:includes("panel-tabset") then
    return nil
  end
  tabsets = tabsets + 1
  local tabs, level = {}, nil
  for _, block in ipairs(div.content) do
    level = level or (block.t == "Header" and block.level) or nil
    if block.t == "Header" and block.level == level then
      table.insert(tabs, { title = block.content, content = pandoc.Blocks({}) })
    elseif #tabs > 0 then
      tabs[#tabs].content:insert(block)
    end
  end
  local out = pandoc.Blocks({ html('<div class="tabset">\n<div class="tablist" role="tablist">') })
  for i, tab in ipairs(tabs) do
    local id = string.format("tabset-%d-%d", tabsets, i)
    out:insert(html(string.format(
      '<button type="button" role="tab" id="%s-tab" aria-controls="%s" aria-selected="%s" tabindex="%d">',
      id, id, tostring(i == 1), i == 1 and 0 or -1)))
    out:insert(pandoc.Plain(tab.title))
    out:insert(html("</button>"))
  end
  out:insert(html("</div>"))
  for i, tab in ipairs(tabs) do
    local id = string.format("tabset-%d-%d", tabsets, i)
    local title = pandoc.Div(pandoc.Plain(tab.title), pandoc.Attr("", { "tab-title" }, { ["aria-hidden"] = "true" }))
    tab.content:insert(1, title)
    out:insert(pandoc.Div(tab.content, pandoc.Attr(id, { "tabpanel" },
      { { "role", "tabpanel" }, { "tabindex", "0" }, { "aria-labelledby", id .. "-tab" } })))
  end
  out:insert(html("</div>"))
  return out
end

-- Numbers -------------------------------------------------------------------------------------------------------------

local labels = {}      -- id -> { kind = "fig", text = "3" or "3 (a)" }
local counts = { fig = 0, tbl = 0 }

local function name(id, kind, text)
  if labels[id] then
    problem(string.format("the label #%s is used twice", id))
  end
  labels[id] = { kind = kind, text = text }
end

local function number(id)
  local kind = kind_of(id)
  counts[kind] = counts[kind] + 1
  name(id, kind, tostring(counts[kind]))
  return string.format("%s %d", KINDS[kind], counts[kind])
end

local function labelled(label, inlines)
  local out = pandoc.Inlines({ pandoc.Span(label .. ":", pandoc.Attr("", { "caption-label" })) })
  if #inlines > 0 then
    out:insert(pandoc.Space())
    out:extend(inlines)
  end
  return out
end

local function caption_of(element)
  return pandoc.utils.blocks_to_inlines(element.caption.long)
end

-- The page's title is its only h1, and its first headings are h2, whatever their level in the source. On paper they
-- begin with the first level.
local function shift(blocks)
  local top = 6
  blocks:walk({ Header = function(element) top = math.min(top, element.level) end })
  return (PAPER and 1 or 2) - top
end

-- A numbered figure. On a page as HTML around its content, which Quarto takes for no figure that it would number again.
local function figure(element)
  if kind_of(element.identifier) ~= "fig" then
    return element
  end
  local caption = labelled(number(element.identifier), caption_of(element))
  if PAPER then
    element.caption.long = pandoc.Blocks({ pandoc.Plain(caption) })
    return element
  end
  local out = pandoc.Blocks({ html(string.format('<figure id="%s">', escape(element.identifier))) })
  out:extend(element.content)
  out:extend({ html("<figcaption>"), pandoc.Plain(caption), html("</figcaption>\n</figure>") })
  return out
end

-- Marks cells: numbers stay on one line, long texts get room to wrap (style.css).
local function mark_cells(element)
  local bodies = element.bodies
  for _, body in ipairs(bodies) do
    for _, row in ipairs(body.body) do
      for _, cell in ipairs(row.cells) do
        local text = pandoc.utils.stringify(cell.contents)
        local length = utf8.len(text) or 0
        if length <= 32 and (text:match("^%d") or text:match("^\u{2212}")) then
          cell.attr.classes:insert("short")
        elseif length > 40 then
          cell.attr.classes:insert("long")
        end
      end
    end
  end
  element.bodies = bodies
end

-- The label at the end of a table's caption, where the reader leaves it there, as Quarto's does; and the rest.
local function label_of(caption)
  local last = caption[#caption]
  local label = last and last.t == "Str" and last.text:match("^{#(tbl%-[%w-]+)}$")
  if label then
    caption:remove(#caption)
    if #caption > 0 and caption[#caption].t == "Space" then
      caption:remove(#caption)
    end
  end
  return label, caption
end

-- A table in a box of its own that scrolls, its caption outside of the box; `id` and `caption` may come from a div.
local function boxed(element, id, caption)
  local label, rest = label_of(caption or caption_of(element))
  id, caption = id or label or element.identifier, rest
  element.caption = { long = {} }
  element.identifier = ""
  mark_cells(element)
  element.colspecs = pandoc.List(element.colspecs):map(function(spec)
    return { spec[1] } -- without the width that Pandoc guesses from the dashes of a long pipe table
  end)
  if quarto then -- it would look for widths, and lose the classes of cells
    element.attributes["quarto-postprocess"] = "true"
    element.attributes["quarto-disable-processing"] = "true"
  end
  local box = pandoc.List({ { "role", "group" }, { "tabindex", "0" } }) -- in order, so that a page is the same each time
  if kind_of(id) == "tbl" then
    caption = labelled(number(id), caption)
  end
  if PAPER then
    element.identifier = id
    element.caption = { long = #caption > 0 and { pandoc.Plain(caption) } or {} }
    return pandoc.Blocks({ element })
  end
  if #caption == 0 then
    box:insert({ "aria-label", "Table" })
    return pandoc.Blocks({ pandoc.Div(element, pandoc.Attr(id, { "table-scroll" }, box)) })
  end
  local named = id ~= "" and string.format(' id="%s"', escape(id)) or ""
  counts.box = (counts.box or 0) + 1
  local caption_id = "table-caption-" .. counts.box
  box:insert({ "aria-labelledby", caption_id })
  return pandoc.Blocks({
    html(string.format('<figure class="table"%s>\n<figcaption id="%s">', named, caption_id)),
    pandoc.Plain(caption),
    html("</figcaption>"),
    pandoc.Div(element, pandoc.Attr("", { "table-scroll" }, box)),
    html("</figure>"),
  })
end

-- Quarto's div syntax: content, and a last paragraph that is the caption.
local function take_caption(div)
  local last = div.content[#div.content]
  if last and last.t == "Para" then
    div.content:remove(#div.content)
    return last.content
  end
  return pandoc.Inlines({})
end

local function columns(div)
  local ncol = tonumber(div.attributes["layout-ncol"])
  if not ncol then
    return div.content
  end
  local style = { style = string.format("--columns: %d", ncol) }
  return pandoc.Blocks({ pandoc.Div(div.content, pandoc.Attr("", { "columns" }, style)) })
end

local function subfigures(div, label, text)
  local letter = 0
  div.content = div.content:walk({
    Figure = function(sub)
      letter = letter + 1
      local mark = string.format("(%s)", string.char(96 + letter))
      if sub.identifier ~= "" then
        name(sub.identifier, "fig", text .. " " .. mark)
      end
      local caption = pandoc.Inlines({ pandoc.Str(mark), pandoc.Space() }) .. caption_of(sub)
      sub.caption.long = pandoc.Blocks({ pandoc.Plain(caption) })
      return sub
    end,
  })
end

local function float(div)
  local kind = kind_of(div.identifier)
  if kind == "tbl" then
    local caption = take_caption(div)
    local only = #div.content == 1 and div.content[1].t == "Table" and div.content[1]
    if only then
      return boxed(only, div.identifier, caption)
    end
    problem(string.format("the div #%s holds something else than one table and its caption", div.identifier))
  elseif kind == "fig" then
    local label = number(div.identifier)
    local caption = labelled(label, take_caption(div))
    subfigures(div, label, labels[div.identifier].text)
    return pandoc.Blocks({
      pandoc.Figure(columns(div), { long = { pandoc.Plain(caption) } }, pandoc.Attr(div.identifier, div.classes)),
    })
  end
  return nil
end

-- fig-alt becomes the image's alternative text, which Pandoc takes from its description.
local function image(element)
  local alt = element.attributes["fig-alt"]
  if alt then
    element.attributes["fig-alt"] = nil
    element.caption = pandoc.Inlines(alt)
  end
  return element, false
end

-- References ----------------------------------------------------------------------------------------------------------

local function is_reference(id)
  local prefix = id:match("^(%a+)%-")
  return prefix and (KINDS[prefix:lower()] or OTHERS[prefix:lower()]) ~= nil
end

local function reference(citation)
  local id = citation.id:gsub("^%a+", string.lower, 1)
  local found = labels[id]
  if not found then
    problem(string.format("@%s refers to nothing in the document", citation.id))
    return pandoc.Str("?")
  end
  local word = KINDS[found.kind] .. "\u{a0}"
  if citation.mode == "SuppressAuthor" then
    word = ""
  end
  return pandoc.Link(word .. found.text, "#" .. id, "", pandoc.Attr("", { "crossref" }))
end

local function cite(element)
  local out = pandoc.Inlines({})
  for _, citation in ipairs(element.citations) do
    if not is_reference(citation.id) then
      return nil
    end
    if #out > 0 then
      out:extend({ pandoc.Str(","), pandoc.Space() })
    end
    out:insert(reference(citation))
  end
  return out
end

-- A hard space between a number and its percent sign, so that no line begins with the sign.
local function percent(inlines)
  for at = 2, #inlines - 1 do
    local before, after = inlines[at - 1], inlines[at + 1]
    local number = before.t == "Str" and before.text:match("%d$")
    if number and inlines[at].t == "Space" and after.t == "Str" and after.text:match("^%%") then
      inlines[at] = pandoc.Str("\u{a0}")
    end
  end
  return inlines
end

function Pandoc(doc)
  local driver = quarto and string.format("Quarto %s with ", tostring(quarto.version)) or ""
  doc.meta.renderer = driver .. "Pandoc " .. tostring(PANDOC_VERSION)
  local first = doc.blocks[1]
  if first and first.t == "Div" and first.classes:includes("pages") then
    doc.meta.pages = first -- above the title; Quarto leaves it below
    doc.blocks:remove(1)
  end
  doc.blocks = doc.blocks:walk({ Div = function(div) return callout(div) or tabset(div) end })
  local deeper = shift(doc.blocks)
  doc.blocks = doc.blocks:walk({
    traverse = "topdown", -- numbers follow the order of the document; `false` keeps off what is numbered already
    Header = function(element)
      element.level = element.level + deeper
      return element, false
    end,
    Figure = function(element) return figure(element), false end,
    Table = function(element) return boxed(element), false end,
    Div = function(div)
      local blocks = float(div)
      if blocks then
        return blocks, false
      end
      if div.attributes["layout-ncol"] then
        local inner = columns(div)
        return pandoc.Div(inner, pandoc.Attr(div.identifier, div.classes))
      end
    end,
  })
  -- From the top, which is several times as fast: each text goes to the filter once, and not with all that it is in.
  doc.blocks = doc.blocks:walk({ traverse = "topdown", Inlines = percent, Image = image, Cite = cite })
  if #problems > 0 then
    error(table.concat(problems, "; "), 0)
  end
  return doc
end
