rule a { strings: $a="only-here" condition: $a }
