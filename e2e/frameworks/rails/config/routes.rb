Rails.application.routes.draw do
  post 'orders' => 'orders#create'
  post 'pusher/auth' => 'pusher#auth'
  post 'pusher/user-auth' => 'pusher#user_auth'
  post 'pusher/webhook' => 'pusher#webhook'
  get 'webhooks' => 'pusher#webhooks'
  get 'up' => 'pusher#up'
end
