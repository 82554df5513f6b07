-- Makes of a page's document one for paper, as PDF (by Typst) or for Word: all that folds is open, tabs follow each other,
-- pictures have their size at most the paper's, and files are named. Run before filter.lua, which numbers.

local TYPST = FORMAT == "typst"
local WIDTH, HEIGHT = 510, 640 -- points of the paper for a picture
local FRAMED = { "abstract", "answer", "card", "claim", "made", "source", "strip" } -- divs with a look in paper.typ

-- Typst's own words around blocks or inlines; nothing for Word.
local function wrapped(before, content, after, raw)
  if TYPST then
    content:insert(1, raw("typst", before))
    content:insert(raw("typst", after))
  end
  return content
end

-- A title that stays on the page of what follows it.
local function title_of(inlines)
  return pandoc.Para(wrapped("#as-head[", pandoc.Inlines({ pandoc.Strong(inlines) }), "];", pandoc.RawInline))
end

local function callout(div)
  local kind
  for _, class in ipairs(div.classes) do
    kind = kind or class:match("^callout%-(%a+)$")
  end
  if not kind then
    return nil
  end
  local body = div.content
  if body[1] and body[1].t == "Header" then
    body[1] = title_of(body[1].content)
  end
  local box = pandoc.Div(body, pandoc.Attr(div.identifier))
  return wrapped(string.format('#as-callout("%s")[', kind), pandoc.Blocks({ box }), "]", pandoc.RawBlock)
end

local function tabset(div)
  if not div.classes:includes("panel-tabset") then
    return nil
  end
  return div.content:map(function(block)
    return block.t == "Header" and title_of(block.content) or block
  end)
end

local function framed(div)
  for _, class in ipairs(FRAMED) do
    if div.classes:includes(class) then
      div.classes = {}
      return wrapped("#as-" .. class .. "[", pandoc.Blocks({ div }), "]", pandoc.RawBlock)
    end
  end
end

-- <details><summary>title</summary> .. </details>, which is HTML in the source, becomes a div with a title.
local function unfold(blocks)
  local out, into = pandoc.Blocks({}), nil
  for at, block in ipairs(blocks) do
    local tag = block.t == "RawBlock" and block.text:match("^</?%a+")
    if tag == "<details" then
      into = pandoc.Div({}, pandoc.Attr("", { "made" }))
    elseif tag == "</details" then
      out:insert(into)
      into = nil
    elseif block.t == "RawBlock" and block.format == "html" then
      -- <summary> and </summary>, and what else is HTML alone
    else
      local before = blocks[at - 1]
      if before and before.t == "RawBlock" and before.text == "<summary>" then
        block = title_of(block.content)
      end
      (into and into.content or out):insert(block)
    end
  end
  return out
end

local function quoted(text)
  return '"' .. text:gsub("[\\\"]", "\\%0") .. '"'
end

-- A picture at the size that it was drawn for, or as much of it as the paper has room for; in a PDF with its text.
local function image(element)
  local width, height = tonumber(element.attributes.width), tonumber(element.attributes.height)
  local size = "100%"
  if width and height then
    local scale = math.min(0.75, WIDTH / width, HEIGHT / height) -- a pixel of the page has 0.75 points
    size = string.format("%.1fpt", width * scale)
    element.attributes.width, element.attributes.height = size, nil
  end
  if not TYPST then
    return element
  end
  local alt = element.attributes["fig-alt"] or pandoc.utils.stringify(element.caption)
  local call = "#image(%s, width: %s, alt: %s)"
  return pandoc.RawInline("typst", string.format(call, quoted(element.src), size, quoted(alt)))
end

-- A CSV file is named; a PDF has it as an attachment too.
local function link(element)
  if element.classes:includes("csv") then
    local name = element.attributes.download or element.target
    local out = element.content .. { pandoc.Str(":"), pandoc.Space(), pandoc.Code(name) }
    if TYPST then
      local call = '#pdf.attach(%s, read(%s, encoding: none), mime-type: "text/csv");'
      out:insert(pandoc.RawInline("typst", string.format(call, quoted(name), quoted(element.target))))
    end
    return out
  elseif element.classes:includes("square") then
    local seen = element.attr.classes:find_if(function(class) return class:match("^verdict%-") end)
    local outside = tostring(element.classes:includes("outside"))
    return wrapped(string.format('#as-square("%s", %s)[', seen:sub(9), outside),
      pandoc.Inlines({ pandoc.Link(element.content, element.target) }), "];", pandoc.RawInline)
  end
end

local function span(element)
  local seen = element.classes:includes("verdict")
    and element.classes:find_if(function(class) return class:match("^verdict%-") end)
  if seen then
    return wrapped(string.format('#as-chip("%s")[', seen:sub(9)), element.content, "];", pandoc.RawInline)
  elseif element.classes:includes("sure") then
    return wrapped("#as-quiet[", element.content, "];", pandoc.RawInline)
  end
end

function Pandoc(doc)
  doc.blocks = doc.blocks:walk({ Blocks = unfold })
  doc.blocks = doc.blocks:walk({
    Div = function(div) return callout(div) or tabset(div) or framed(div) end,
    Image = image,
    Link = link,
    Span = span,
  })
  return doc
end
