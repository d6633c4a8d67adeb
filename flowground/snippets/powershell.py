"""The PowerShell variant of the cURL tab: for Windows PowerShell 5.1 and PowerShell 7, pasted or saved.

The body is a here-string in single quotes, in which nothing is read, and JSON in it is ASCII: Windows PowerShell takes
a saved file for the old code page of its country. It goes out, and the answer is read, as UTF-8 bytes for the same
reason. All stands in one block, so that a pasted error ends no shell, while a saved script exits with 1.
"""

from flowground.snippets.answer import write_gaps, write_with_dots
from flowground.snippets.literals import ASCII_JSON, NO_TOKEN, VARIABLE, fill, quote_powershell, write_literal
from flowground.snippets.request import SnippetRequest

_SCRIPT = """\
& {
  $ErrorActionPreference = 'Stop'
  $ProgressPreference = 'SilentlyContinue'
  $url = «url»
  $body = @'
«body»
'@
  try {
    $token = «token»
«send»
  } catch {
    [Console]::Error.WriteLine($_.Exception.Message)
    if ($PSCommandPath) { exit 1 }
  }
}
"""

_UPLOAD = """\
    Add-Type -AssemblyName System.Net.Http
    $uploads = [Net.Http.HttpClient]::new()
    $uploads.DefaultRequestHeaders.Add('x-api-key', $token)
    $number = 0
    foreach ($name in @(«names»)) {
      $form = [Net.Http.MultipartFormDataContent]::new()
      $bytes = [IO.File]::ReadAllBytes((Resolve-Path -LiteralPath $name).ProviderPath)
      $form.Add([Net.Http.ByteArrayContent]::new($bytes), 'file', $name)
      $sent = $uploads.PostAsync(«url», $form).GetAwaiter().GetResult()
      $said = $sent.Content.ReadAsStringAsync().GetAwaiter().GetResult()
      if (-not $sent.IsSuccessStatusCode) { throw "$name was not uploaded: $said" }
      $number += 1
      $body = $body.Replace('"<file ' + $number + '>"', '"' + ($said | ConvertFrom-Json).id + '"')
    }
"""

_ASK = """\
    if (-not $token) { throw «no_token» }
"""

_REFUSED = """\
      $refusal = try { $said | ConvertFrom-Json } catch { $null }
      $detail = if ($refusal.«DETAIL».«MESSAGE» -is [string]) { $refusal.«DETAIL».«MESSAGE» } else { $refusal.«DETAIL» }
      if ($detail -and $detail -isnot [string]) { $detail = $detail | ConvertTo-Json -Compress -Depth 9 }
      if (-not $detail) { $detail = "No answer from ${url}: $why" }
      throw (@($detail, $refusal.«HINT» | Where-Object { $_ }) -join "`n")
"""

_PLAIN = (
    """\
    try {
      $response = Invoke-WebRequest -Uri $url -Method Post -UseBasicParsing -TimeoutSec 300 `
        -Headers @{ 'x-api-key' = $token } -ContentType 'application/json' `
        -Body ([Text.Encoding]::UTF8.GetBytes($body))
    } catch {
      $said = $_.ErrorDetails.Message
      $why = $_.Exception.Message
"""
    + _REFUSED
    + """\
    }
    $answer = [Text.Encoding]::UTF8.GetString($response.RawContentStream.ToArray()) | ConvertFrom-Json
«waits»«print»"""
)

_LANGFLOW = "    foreach ($output in $answer«OUTPUTS») { $output«SAID» }"
_SIMPLE = "    $answer.«TEXT»"
_SOURCES = """
    foreach ($passage in $answer.«CITATIONS») { "[$($passage.«NUMBER»)] $($passage.«SOURCE»)" }"""
_WAITS = """\
    if ([int]$response.StatusCode -eq 202) {
      $sent = $answer.waiting[0] | Select-Object call, digest, @{ Name = 'decision'; Expression = { 'once' } }
      throw ("The run waits for a decision: $($answer | ConvertTo-Json -Compress -Depth 9)`nPOST " + «runs» +
        "/$($answer.run_id)/decisions with $($sent | ConvertTo-Json -Compress), or `"refuse`"")
    }
"""

_STREAM = (
    """\
    Add-Type -AssemblyName System.Net.Http
    $client = [Net.Http.HttpClient]::new()
    $call = [Net.Http.HttpRequestMessage]::new([Net.Http.HttpMethod]::Post, $url)
    $call.Headers.Add('x-api-key', $token)
    $call.Content = [Net.Http.StringContent]::new($body, [Text.Encoding]::UTF8, 'application/json')
    try {
      $at_once = [Net.Http.HttpCompletionOption]::ResponseHeadersRead
      $response = $client.SendAsync($call, $at_once).GetAwaiter().GetResult()
      $content = $response.Content.ReadAsStreamAsync().GetAwaiter().GetResult()
      $reader = [IO.StreamReader]::new($content, [Text.Encoding]::UTF8)
    } catch {
      throw "No answer from ${url}: $($_.Exception.GetBaseException().Message)"
    }
    if (-not $response.IsSuccessStatusCode) {
      $said = $reader.ReadToEnd()
      $why = $response.ReasonPhrase
"""
    + _REFUSED
    + """\
    }
    $shown = ''  # of several answers, the first to begin is shown as it comes
    while ($null -ne ($line = $reader.ReadLine())) {
      if (-not $line) { continue }
      $sent = $line | ConvertFrom-Json
      if ($sent.«EVENT» -eq '«TOKEN»') {
        if (-not $shown) { $shown = $sent.«DATA».«ID» }
        if ($sent.«DATA».«ID» -eq $shown) { Write-Host -NoNewline $sent.«DATA».«CHUNK» }
      } elseif ($sent.«EVENT» -eq '«FAILED»' -and $sent.«DATA».«ERROR») {
        throw (@($sent.«DATA».«ERROR», $sent.«DATA».«HINT» | Where-Object { $_ }) -join "`n")
      } elseif ($sent.«EVENT» -eq '«END»') {
        if ($shown) { Write-Host }
        foreach ($output in $sent.«DATA».«RESULT»«OUTPUTS») {
          if ($output.«RESULTS».«MESSAGE».«DATA».«ID» -ne $shown) { Write-Host $output«SAID» }
        }
      }
    }"""
)


def write_powershell(request: SnippetRequest) -> str:
    """A complete script: `pwsh -File test-script.ps1`. Raises ValueError as `write_body` does."""
    words = write_gaps(write_with_dots)
    ask = "" if request.token else fill(_ASK, no_token=quote_powershell(NO_TOKEN))
    short = _SIMPLE + _SOURCES if request.cites else _SIMPLE
    printed = fill(short if request.shape == "simple" else _LANGFLOW, **words)
    waits = fill(_WAITS, runs=quote_powershell(request.runs_url)) if request.may_wait else ""
    send = fill(_STREAM if request.stream else _PLAIN, print=printed, waits=waits, **words)
    return fill(
        _SCRIPT,
        url=quote_powershell(request.url),
        body=write_literal(request.write_body(request.message, _list_places(request) or None), ASCII_JSON),
        token=quote_powershell(request.token) if request.token else f"$env:{VARIABLE}",
        send=ask + _write_upload(request) + send,
    )


def _list_places(request: SnippetRequest) -> list[str]:
    """What stands in the body until a file has its id."""
    return [f"<file {number}>" for number in range(1, len(request.files) + 1)]


def _write_upload(request: SnippetRequest) -> str:
    if not request.files:
        return ""
    names = ", ".join(map(quote_powershell, request.files))
    return fill(_UPLOAD, names=names, url=quote_powershell(request.upload_url))
