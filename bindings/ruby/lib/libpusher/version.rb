# frozen_string_literal: true

module LibPusher
  # The version of the gem, which is that of the C library it was made for.
  VERSION = '0.1.0'
end
