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
«print»"""
)

_LANGFLOW = "    foreach ($output in $answer«OUTPUTS») { $output«SAID» }"
_SIMPLE = "    $answer.«TEXT»"

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
    printed = _SIMPLE if request.shape == "simple" else _LANGFLOW
    send = fill(_STREAM if request.stream else _PLAIN, print=fill(printed, **words), **words)
    return fill(
        _SCRIPT,
        url=quote_powershell(request.url),
        body=write_literal(request.write_body(request.message), ASCII_JSON),
        token=quote_powershell(request.token) if request.token else f"$env:{VARIABLE}",
        send=ask + send,
    )
