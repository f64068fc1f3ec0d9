"""The embedded set of lines: names of the numbers below 10,000.

The names are in English (label 0) and in Chinese (label 1). `meanings` has all
valid lines, and the number that each of them names.
"""

import functools

LARGEST = 9999
LANGUAGES = ('English', 'Chinese')
_SMALL = [
    'zero',
    'one',
    'two',
    'three',
    'four',
    'five',
    'six',
    'seven',
    'eight',
    'nine',
    'ten',
    'eleven',
    'twelve',
    'thirteen',
    'fourteen',
    'fifteen',
    'sixteen',
    'seventeen',
    'eighteen',
    'nineteen',
]
_TENS = [
    'twenty',
    'thirty',
    'forty',
    'fifty',
    'sixty',
    'seventy',
    'eighty',
    'ninety',
]
_DIGITS = '零一二三四五六七八九'
_PLACES = ('', '十', '百', '千')


def english(number: int) -> str:
    """A name such as 'four thousand two hundred seven', for 0 to 9,999."""
    for size, name in ((1000, 'thousand'), (100, 'hundred')):
        if number >= size:
            head = f'{english(number // size)} {name}'
            rest = number % size
            return f'{head} {english(rest)}' if rest else head
    if number < 20:
        return _SMALL[number]
    tens = _TENS[number // 10 - 2]
    return f'{tens}-{_SMALL[number % 10]}' if number % 10 else tens


def chinese(number: int) -> str:
    """A name such as '四千二百零七', for 0 to 9,999."""
    if number == 0:
        return _DIGITS[0]
    text, gap = '', False
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            text += _DIGITS[0] * (gap and bool(text))
            text += _DIGITS[digit] + _PLACES[place]
        gap = not digit
    # The names of ten to nineteen do not start with "one".
    return text[1:] if 10 <= number < 20 else text


@functools.cache
def meanings() -> dict[str, int]:
    """Maps every line to its number."""
    numbers = range(LARGEST + 1)
    return {english(n): n for n in numbers} | {chinese(n): n for n in numbers}
